"""What the help of the commands says below their options."""

NOISE = """\
how the noise is told, in one of these ways:
  integer file   --sigma 25/255                   a fraction of the type's maximum
                 --sigma 25 --sigma-scale 8bit    on the scale 0..255, whatever the type
                 --sigma 25 --sigma-scale native  in the file's own grey levels
  float file     --sigma 0.1                      in the file's own units
  any file       --sigma auto                     estimated from each image
  counts         --noise poisson:2.5,3            variance 2.5 * value + 3**2, own units
                 --noise poisson:auto             estimated from each image
  correlated     --psd psd.npy                    power spectrum, see fastrestore.bm3d
                 --kernel kernel.npy              white noise of sigma 1 convolved with this

Files are gray or RGB, with or without alpha: PNG (8 and 16 bits) and TIFF (integer and float; other
channels too), and NPY, of which --channel-axis says where channels are. JPEG is read, not written;
in a directory OUT it becomes PNG. The name of OUT says what to write; the type of the numbers stays
that of IN. Results for integer files are rounded, halves to the even number, and clipped to the
type's range. Alpha stays as it is; colour profile, EXIF and orientation are carried over, to NPY
nothing is.
"""

VIDEO = """\
examples:
  fastrestore video noisy.mp4 clean.mp4 --sigma auto
  fastrestore video noisy.mkv clean.mkv --sigma 10/255 --crf 14
  fastrestore video frames/%05d.png clean.mp4 --fps 24 --sigma 25 --sigma-scale 8bit
  fastrestore video noisy.mov clean/%05d.png --sigma auto

--sigma is that of red, green and blue, as a fraction of white or on the scale 0..255; a film that
stores luminance and colours has less of it there, which is reckoned with. --sigma-scale native
tells the noise of what is stored, the same for luminance and colours. auto estimates each of
them from frames all over the film.

Frame rate, time stamps, pixel format, colours, rotation and metadata stay as they are, and all
other tracks are copied. After Ctrl-C OUT holds what was restored until then. A film that is
damaged is restored as far as it can be read; the exit status is 2.
"""

TRAIN = """\
examples:
  fastrestore train unet --images photographs --out trained
  fastrestore train dncnn --images photographs --out trained --recipe dncnn-gray.json
  fastrestore train dncnn --images photographs --out trained --set sizes.layers=12 --set steps=20000
  fastrestore train srresnet --images photographs --out trained --set sizes.scale=2
  fastrestore train gan --images photographs --out trained

OUT gets the weights, as safetensors in half precision, log.csv, crops.png with photographs that are
not trained on, and a checkpoint. The same command goes on where the one before stopped, by Ctrl-C
too, or were it killed. One photograph in 36 is kept for the log. dncnn, unet and ffdnet are gray
without --color; srresnet, srvgg, gan and vsrgan are for colours, gray by --set channels=1.

A gan is an srresnet (--set network=srvgg, rrdb, unet) that is trained by pixels alone first, into
OUT/pixels, which --set begin=FILE skips, then in turn with a discriminator: steps are done twice,
once in each way. --set task=degraded --set sizes.scale=1 trains one that mends pictures of the same
size. A vsrgan is trained likewise, on films that are made by moving over the photographs, and on
those of --films. --perceptual FILE adds a loss of weight 1, unless --set perceptual says another.

A recipe is a JSON file of the numbers that --set sets; those of the weights that come with the
library lie beside them. The numbers:
  what        network (dncnn, unet, ffdnet, srresnet, srvgg, rrdb, vsrgan), channels, sizes.NAME
              (scale, blocks, width, layers, ... of the network), begin
  of what     task: noise (sigma=[0,75]), small (reduced), blurred (films), degraded; patch, batch,
              shrink, turned, frames
  how         steps, rate, warm, average, loss (l1, l2, charbonnier), precision (float32, bfloat16),
              seed
  losses      pixel, perceptual, features, adversarial; of films warp, motion, pingpong
  adversary   adversary (vgg, unet, film), adversary_sizes.NAME, adversary_rate, relativistic, lead
"""

UPSCALE = """\
examples:
  fastrestore upscale small.png -o large.png --scale 4
  fastrestore upscale pictures -o larger --model srresnet
  fastrestore upscale photo.jpg -o mended.png --scale 1 --model restore-gan
  fastrestore upscale film.mp4 -o larger.mp4 --scale 4

--model srgan makes up details that look right; srresnet does not, and is softer. Of films, also
numbered pictures such as frames/%05d.png, the first is vsrgan; all other tracks are copied. A
file of weights will do, too. With --scale 1 and restore-gan a picture is mended that is blurred,
noisy and compressed. Alpha is interpolated. The type of the numbers stays that of IN. Files may be
PNG, TIFF, NPY and JPEG, which is read and not written: in a folder OUT it becomes PNG.

White is 255 or 65535 in files of 8 and 16 bits, and 1 in those of floats, unless their values tell
that it is not; --data-range 4095 is for 12 bits in a file of 16.
"""

VOLUME = """\
how the noise is told, in one of these ways:
  integer file   --sigma 25/255                   a fraction of the type's maximum
                 --sigma 25 --sigma-scale 8bit    on the scale 0..255, whatever the type
                 --sigma 25 --sigma-scale native  in the file's own grey levels
  float file     --sigma 0.1                      in the file's own units
  any file       --sigma auto                     estimated from the volume
  magnitudes     --noise rician:20                of MR, in the file's own units
  counts         --noise poisson:2.5,3            variance 2.5 * value + 3**2, own units
  correlated     --psd psd.npy                    power spectrum, see fastrestore.bm4d

Of NIfTI (.nii, .nii.gz) header and affine stay as they are. One with scl_slope or scl_inter is a
float file in the units they lead to, whatever it stores. The type of the numbers stays that of IN:
results for integers are rounded, halves to the even number, and clipped to the type's range.
"""

DEBLUR = """\
examples:
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 2/255
  fastrestore deblur *.tif -o sharp/ --psf psf.png --sigma auto --boundary taper
  fastrestore deblur blurred.png -o sharp.png --psf psf.npy --sigma 0.01 --method pnp

--psf is what a point of light becomes, its middle being where the point was, no larger than the
picture. Floats have to sum to 1; a picture of integers is divided by its sum. Noise came after the
blur. Beyond the border lies the mirrored picture (reflect), the opposite border (periodic, as in
simulations by Fourier transforms), or nobody knows (taper: where reflect leaves stripes). --sigma
that is too little makes noise large; if in doubt take more, or auto.
"""

INPAINT = """\
examples:
  fastrestore inpaint scratched.png -o whole.png --mask scratches.png
  fastrestore inpaint dead.tif -o whole.tif --mask pixels.npy --sigma 5/255

The mask is as large as the picture; pixels that are not 0 in it are missing, or, of a mask with
transparent parts, those that are not transparent. Without noise all others stay as they are.
"""

SHARPEN = """\
examples:
  fastrestore sharpen soft.png -o sharp.png
  fastrestore sharpen soft.png -o sharp.png --sigma 5/255 --alpha 1.3
"""

STREAKS = """\
examples:
  fastrestore streaks sinogram.tif -o clean.tif
  fastrestore streaks stack.npy -o clean.npy --angle-axis 0 --detector-axis 2

Sinograms hold the logarithm of the attenuation: gray TIFF, PNG or NPY, stacks as NPY.
"""
